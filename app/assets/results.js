// A click on a row tells which; a click on a heading sorts by its column, numbers from the largest.
const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].innerText;

const compare = (a, b) => {
  if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last
  const numbers = [Number(b) - Number(a)];
  return Number.isNaN(numbers[0]) ? a.localeCompare(b) : numbers[0];
};

const sort = (heading) => {
  const body = heading.closest("table").tBodies[0];
  const turned = heading.getAttribute("aria-sort") === "descending";
  const rows = [...body.rows].sort((a, b) => {
    const [first, second] = [a, b].map((row) => value(row, heading.cellIndex));
    const order = compare(first, second);
    return turned && first !== "" && second !== "" ? -order : order;
  });
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", turned ? "ascending" : "descending");
  body.append(...rows);
};

element.addEventListener("click", (event) => {
  const heading = event.target.closest("tr.sort th");
  if (heading) return sort(heading);
  const row = event.target.closest("tbody tr");
  if (!row) return;
  for (const other of row.parentElement.rows) other.classList.toggle("chosen", other === row);
  trigger("select", { label: row.dataset.label });
});
