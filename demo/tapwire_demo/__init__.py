"""Everything that `make demo` and the tests stand on: a database, a broker and the programs of Tapwire, each embedded.

`postgres` and `broker` are the two servers, `processes` how their programs are started and never left behind.
"""
