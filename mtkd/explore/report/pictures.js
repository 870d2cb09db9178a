// The pictures of a report come as scripts: a page that is opened from disk may read no other files.
var mtkdStore = { known: {}, waiting: {} };
/** Called by each script of pictures: the number of the image, and data URIs by name. */
function mtkdPictures(number, pictures) {
  mtkdStore.known[number] = pictures;
  (mtkdStore.waiting[number] || []).forEach(function (done) { done(pictures); });
  delete mtkdStore.waiting[number];
}
