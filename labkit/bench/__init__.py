"""The measurements that ``labkit bench`` prints, each with the peer's figure from the same run where there is one."""
