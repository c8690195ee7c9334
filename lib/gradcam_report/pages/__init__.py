"""What chapters put on a page besides figures: glued numbers, tables, case cards and the error explorer."""
