"""Datasets: from a URI to a checked local copy, named by a digest of its content.

``materialise`` in ``cache`` is the whole of it; the other modules are its steps: ``source`` (fetch), ``archive``
(unpack), ``digits`` (make), ``formats`` (recognise and list), ``check`` (find what is wrong), ``splits`` (make those
that are missing), ``digest``, ``stored`` (the copy).
"""
