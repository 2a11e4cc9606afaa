"""The paper's Chinchilla-against-Gopher argument on your own data: predict, register, train, compare."""
