"""What a million records cost: measured work times a price table that the user can replace."""

from .measured import Measured
from .model import Cost, Workload, estimate
from .prices import Prices, PricesError
from .report import Row, designs, table

__all__ = ["Cost", "Measured", "Prices", "PricesError", "Row", "Workload", "designs", "estimate", "table"]
