"""Records that come in over HTTP: who may send, what is taken, and where it waits until it is read.

A request's good lines go into the spool, files in the state folder that the log's reader follows like any other log.
So what holds for the log holds here: positions commit with the counts, and an acknowledged record counts once.
"""
