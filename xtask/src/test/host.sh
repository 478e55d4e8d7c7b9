# Prints what a host has, one thing a line, so that two of these can be compared. Run as root with sh.
LC_ALL=C
export LC_ALL
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/cache \) \
    -prune -o -printf 'path %y %m %U:%G %p %l\n'
find /etc -xdev -type f -exec sha256sum {} + | sed 's/^/content /'
dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\n'
systemctl list-unit-files --no-legend --no-pager --plain | awk '$2 != "transient" { print "unit-file", $1, $2 }'
systemctl list-units --failed --no-legend --no-pager --plain | awk '{ print "failed-unit", $1 }'
systemctl list-units --state=active --type=service,socket,timer --no-legend --no-pager --plain | awk '{ print "active-unit", $1 }'
nft --stateless list ruleset 2>&1 | sed 's/^/nft /'
for table in filter nat mangle raw; do
    if command -v iptables-save >/dev/null; then
        iptables-save -t "$table" 2>/dev/null | sed -e '/^#/d' -e 's/\[[0-9:]*\]//' -e "s/^/iptables $table /"
    fi
done
if command -v ipset >/dev/null; then ipset list -n | sed 's/^/ipset /'; fi
ip -o link | awk -F ': ' '{ sub(/@.*/, "", $2); print "interface", $2 }'
ip -o -4 address | awk '{ print "address", $2, $4 }'
ip route | sed 's/^/route /'
for name in net/ipv4/ip_forward net/ipv4/conf/all/forwarding net/ipv4/conf/all/rp_filter net/ipv4/conf/all/route_localnet \
    net/ipv6/conf/all/forwarding net/netfilter/nf_conntrack_max; do
    if [ -r "/proc/sys/$name" ]; then echo "sysctl $name $(cat "/proc/sys/$name")"; fi
done
awk '{ print "mount", $2, $3 }' /proc/mounts
find /sys/fs/cgroup -maxdepth 4 -type d \( -name '*kubepods*' -o -name 'kubelet*' -o -name 'cri-containerd*' \) 2>/dev/null | sed 's/^/cgroup /'
for process in /proc/[0-9]*; do
    if [ -e "$process/exe" ]; then echo "process $(cat "$process/comm" 2>/dev/null)"; fi
done
