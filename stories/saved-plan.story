# A saved plan is a contract: it is carried out exactly, or refused with the names of what moved.
site dev: spar
apply
site dev: spar; prod: spar
save
somebody puts /etc/openg2p/containerd.toml mine
apply saved
# A new plan holds until another run comes between.
save
apply
apply saved
