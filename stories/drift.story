# Others change what is ours. The plan names each thing; apply puts it back.
site dev: spar
apply
mark
somebody puts /etc/openg2p/containerd.toml version = 1
somebody runs systemctl stop openg2p-nginx.service
somebody sets net.ipv4.ip_forward 0
somebody deletes Service dev/spar-mapper
changes
plan
apply
changes
# A field that another program took over is not fought for: apply says who has it.
somebody edits Deployment dev/spar-mapper /spec/replicas 3
plan
apply
# A Secret that guards data is never made anew. A person must bring it back.
somebody deletes Secret dev/postgresql-provisioner
apply
