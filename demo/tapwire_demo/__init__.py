"""`make demo`, and what the tests share with it: a database, a broker and the programs of Tapwire, each embedded.

`postgres` and `broker` are the two servers, `processes` how programs are started and never left behind; `demo` puts all together.
"""
