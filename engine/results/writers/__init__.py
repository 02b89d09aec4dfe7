"""Writers of reports, one module for each family of formats.

To add a format, name it in :mod:`.formats`, write its class in the module of its family and
register the class in :mod:`.registry`. The command line offers it from then on.
"""
