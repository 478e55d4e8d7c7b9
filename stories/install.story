# A bare Debian host and a site file of one environment with one module.
site dev: spar
mark
plan
apply
# The host now runs the edge, containerd and the kubelet; the cluster holds the environment.
changes
show ledger
