"""Constants of units: nats and bits, and of the normal density."""

import math

LN2 = math.log(2)  # nats per bit
LOG_2PI = math.log(2 * math.pi)
