"""The forms of figures, one file each: a part that draws what a `Source` hands out."""
