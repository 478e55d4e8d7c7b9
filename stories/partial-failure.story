# One image cannot be imported. What needs it is not begun, everything else is done, and the error says what and where.
site dev: spar; prod: g2p-bridge
fail host.import_image spar
apply
# What was done stays done. The next run does the rest, and nothing twice.
mark
plan
apply
plan
# A call whose answer is lost may have had its effect. The next run looks before it does anything again.
site dev: spar; prod: g2p-bridge; qa: spar
lose cluster.apply Secret qa/spar-database
apply
show Secret qa/spar-database /data/username
apply
plan
