# Things of the same name that openg2p did not make are refused before the first effect, all of them together.
site dev: spar
somebody puts /etc/openg2p/containerd.toml mine
somebody puts /etc/systemd/system/kubelet.service [Service]
mark
apply
changes
# Somebody moves them away, and the site is made.
somebody removes /etc/openg2p/containerd.toml
somebody removes /etc/systemd/system/kubelet.service
apply
# The same in the cluster: a namespace that somebody made by hand is not taken over.
somebody creates Namespace /prod
mark
site dev: spar; prod: spar
apply
changes
