"""The paper's Chinchilla-against-Gopher argument on one's own data: predict, register, train, compare."""
