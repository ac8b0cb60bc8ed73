"""The fault campaign: steady load, processes killed, connections broken, disks full, clocks wrong; then the books."""
