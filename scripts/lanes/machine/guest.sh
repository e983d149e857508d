# shellcheck shell=bash
# Inside of the emulated machine: sets a file server up, mounts what it serves, and calls `job`.
# The caller has set `file_system`, `folder` and `modules`, and defined `job`.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

# Where the kernel looks when it needs one itself.
mkdir -p /lib/modules
ln -s "$modules/lib/modules/$(uname -r)" /lib/modules

mount_basics() {
  mount -t tmpfs tmpfs /run
  mkdir -p /dev/pts /dev/shm
  mount -t devpts devpts /dev/pts
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  mount -t tmpfs tmpfs /mnt
  mkdir /mnt/server /mnt/client /mnt/second "$folder" 2>/dev/null
  # The only folder in which what is written stays.
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap work "$folder"
  ip link set lo up
  hostname emulated
}

mount_server() {
  modprobe loop
  modprobe ext4
  truncate --size=512M /run/server.img
  mkfs.ext4 -q /run/server.img
  mount -o loop /run/server.img /mnt/server
  chmod 1777 /mnt/server
}

# Locks are refused for a while after the start of a server, so that clients can claim theirs: a minute by
# default, for nobody here.
serve_nfs() {
  modprobe lockd nlm_timeout=3 nlm_grace_period=1
  modprobe nfsd
  modprobe nfsv4
  modprobe nfsv3
  mount -t nfsd nfsd /proc/fs/nfsd
  rpcbind
  rpc.statd
  exportfs -i -o rw,no_root_squash,insecure,fsid=0 '*:/mnt/server'
  echo 10 >/proc/fs/nfsd/nfsv4leasetime
  echo 10 >/proc/fs/nfsd/nfsv4gracetime
  rpc.nfsd 8
  rpc.mountd
  echo Y >/proc/fs/nfsd/v4_end_grace
}

# Another client, to the server: with a network, and for NFSv4 a name, of its own.
add_machine() {
  ip netns add second
  ip link add here type veth peer name there netns second
  ip address add 10.9.9.1/24 dev here
  ip link set here up
  ip -netns second address add 10.9.9.2/24 dev there
  ip -netns second link set there up
  ip -netns second link set lo up
}

on_second_machine() {
  nsenter --net=/run/netns/second unshare --uts sh -c 'hostname second && exec "$@"' sh "$@"
}

mount_served() {
  serve_nfs || return
  case $file_system in
    nfs4)
      add_machine &&
        mount -t nfs -o vers=4.2 localhost:/ /mnt/client &&
        on_second_machine mount -t nfs -o vers=4.2 10.9.9.1:/ /mnt/second
      ;;
    # One machine, because the second would need daemons of its own, but neither mount knows what the
    # other has cached.
    nfs3)
      mount -t nfs -o vers=3,nosharecache localhost:/mnt/server /mnt/client &&
        mount -t nfs -o vers=3,nosharecache localhost:/mnt/server /mnt/second
      ;;
  esac
}

mount_basics
mount_server
if mount_served; then
  # The first lock after the start may have to wait.
  flock /mnt/client/first true
  export TMPDIR=/mnt/client HOLDFAST_TEST_SECOND_CLIENT=/mnt/second
  cd "$folder" && job
fi
sync -f "$folder"
echo o >/proc/sysrq-trigger
# The first process must not end before the machine is off.
while :; do :; done
