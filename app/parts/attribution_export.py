"""The files of an attribution: maps, numbers, Fig. 4 of what is shown, and Fig. 4 of the paper's own image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mtkd.explain.answer import Explanation
from mtkd.explain.question import Question
from mtkd.explore import Comparison
from mtkd.explore.comparison.paper_figures import PRESETS
from mtkd.explore.inside.attribution import archive, figure, paper_question, zipped
from mtkd.explore.inside.side_by_side import SideBySide

from ..server.queue import COMPUTING
from ..server.session_files import PictureGroup
from ..server.steps import in_steps
from ..state import PRIVATE, Shared, errors_shown
from .attribution_method import MethodChoice
from .attribution_work import answering
from .messages import errors_in, notice


@dataclass(frozen=True, eq=False)
class Export:
    """The components."""

    archive: gr.DownloadButton
    png: gr.DownloadButton
    pdf: gr.DownloadButton
    paper: gr.Button
    drawn: gr.Image
    note: gr.HTML

    @property
    def files(self) -> list[Any]:
        """The buttons of files of an answer."""
        return [self.archive, self.png, self.pdf]

    def off(self) -> dict[Any, Any]:
        """There is no answer."""
        return dict.fromkeys(self.files, gr.DownloadButton(interactive=False))

    def of(self, comparison: Comparison, asked: Question, found: Explanation, group: PictureGroup) -> dict[Any, Any]:
        """The files of an answer."""
        packed = group.file("attribution.zip", archive(found))
        return _downloads({self.archive: packed, **self._figures(comparison, asked, found, group)})

    def of_several(self, comparison: Comparison, together: SideBySide, group: PictureGroup) -> dict[Any, Any]:
        """The files of answers side by side."""
        pictures, titles = {one.name: one.image for one in comparison.results}, comparison.titles()
        packed = group.file("attribution.zip", zipped(lambda folder: together.save(folder, pictures, titles)))
        figures = {
            button: group.file(f"maps.{form}", together.drawn(form, pictures, titles))
            for button, form in ((self.png, "png"), (self.pdf, "pdf"))
        }
        return _downloads({self.archive: packed, **figures})

    def _figures(
        self, comparison: Comparison, asked: Question, found: Explanation, group: PictureGroup
    ) -> dict[Any, str]:
        """The files of Fig. 4 of an answer, by their buttons."""
        forms = {self.png: "png", self.pdf: "pdf"}
        return {
            button: group.file(f"fig4.{form}", figure(comparison, asked, found, form)) for button, form in forms.items()
        }

    def connect(self, shared: Shared, choice: MethodChoice) -> Any:
        """Connect the drawing of the paper's figure; gives the event."""

        def draw_paper(
            comparison: Comparison | None,
            size: int,
            method: str = "lam",
            progress: gr.Progress = gr.Progress(),  # noqa: B008
            **values: Any,
        ) -> Iterator[dict[Any, Any]]:
            """Fig. 4 on the image that the paper shows, or the one that stands in for it."""
            with errors_shown():
                options = choice.checked(method, values, size)
                with shared.turns:
                    title, compared, asked = paper_question(comparison.scale if comparison else 4, int(size))
                for news in in_steps(answering(shared, asked, method, options)):
                    if isinstance(news, Explanation):
                        break
                    if news:
                        progress(None, desc="Step {} of {}".format(*news))
                    yield dict.fromkeys((self.drawn, self.png, self.pdf), gr.skip())
            assert isinstance(news, Explanation)
            figures = self._figures(compared, asked, news, shared.pictures.group("paper"))
            label = f"Fig. 4: {title}, {compared.titles()[news.model]}"
            drawn = gr.Image(figures[self.png], visible=True, label=label)
            yield {self.drawn: drawn, self.note: notice(""), **_downloads(figures)}

        inputs = [shared.comparison, choice.size, choice.method]
        outputs = [self.drawn, self.png, self.pdf, self.note]
        options: dict[str, Any] = {"inputs_kwargs": choice.inputs, **COMPUTING}
        gr.Button(visible=False).click(draw_paper, inputs, outputs, api_name="figure_4", **options)
        for_people = errors_in(draw_paper, lambda message: {self.note: notice(message)})
        return self.paper.click(for_people, inputs, outputs, show_progress_on=[self.paper], **PRIVATE, **options)


def layout() -> Export:
    """Lay out the part, closed."""
    with gr.Accordion("Export", open=False, elem_id="lam-export"):
        with gr.Row():
            packed, png, pdf = (
                gr.DownloadButton(text, size="sm", interactive=False, elem_id=elem_id)
                for text, elem_id in (
                    ("Download maps and numbers (zip)", "lam-archive"),
                    ("Download figure (PNG)", "lam-png"),
                    ("Download figure (PDF)", "lam-pdf"),
                )
            )
            paper = gr.Button(
                f"Create Fig. 4 of the paper's image ({PRESETS['fig4'].images[0][0]})", size="sm", elem_id="lam-fig4"
            )
        note = gr.HTML(visible=False, apply_default_css=False, elem_id="lam-fig4-note")
        drawn = gr.Image(
            format="png",
            interactive=False,
            visible=False,
            label="Fig. 4",
            buttons=["download", "fullscreen"],
            elem_id="lam-fig4-image",
        )
    return Export(packed, png, pdf, paper, drawn, note)


def _downloads(files: dict[Any, str]) -> dict[Any, Any]:
    return {button: gr.DownloadButton(value=file, interactive=True) for button, file in files.items()}
