"""Networks in the model: cards and cables, switches that learn, doorkeepers, buckets, and what passes between them.

Each frame is an event: it is sent, waits in a queue, arrives, and is looked at. A long flow may be water instead. Each
file is one part and names the standard or the document that it follows.
"""

from __future__ import annotations

from labkit.model.net.flow import transfer
from labkit.model.net.network import Cabinet, SimulatedNetwork
from labkit.model.net.trying import capture, reach

__all__ = ["Cabinet", "SimulatedNetwork", "capture", "reach", "transfer"]
