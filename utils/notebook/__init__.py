"""What every notebook uses for its checks and figures; independent of the rest of the library.

Modules
-------
check
    Compare two computations of an equation; show, store and read results.
plotting
    The common style of all figures, line plots and heat maps.
"""
