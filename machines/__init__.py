"""The pure core: state and event in, decision out.

Nothing in this package reads a clock, an environment, a file, a socket, a random source or a logger; `now` is always
passed in. Everything that decides about a customer is here, so that it can be tested exhaustively and in microseconds;
`sopd` remembers what was decided and acts on it.
"""
