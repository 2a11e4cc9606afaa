"""The figures of the page that people explore: their data, their specifications, and the library that draws them."""
