#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Install the Debian packages that a target needs and that are missing.
#
#   setup.sh for TARGET            what the target needs besides compilers of Rust and C
#   setup.sh install WHY PACKAGE.. these packages, for this reason
#
# Prints what it installs and why. apt is asked only when something is missing.

set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

fail()
{
	echo "error: $*" >&2
	exit 1
}

# Each line: package, what shows that it is there (a command or a file), why it is wanted
kernel="
make make the kernel's build, and this project's
gcc gcc the programs that the kernel's build runs, and the selftests
libc6-dev /usr/include/stdio.h their C library
flex flex the kernel's configuration language
bison bison the kernel's configuration language
bc bc the kernel's time constants
libelf-dev /usr/include/libelf.h objtool
libssl-dev /usr/include/openssl/opensslv.h the kernel's own tools
perl perl the kernel's build
kmod depmod the list of modules that modprobe reads
xz-utils xz the kernel's source archive
patch patch the hooks into existing files
git git make series, KSRC= trees
ccache ccache objects that are the same are not compiled twice
ca-certificates /etc/ssl/certs/ca-certificates.crt downloads
debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.[gp]* the signature of the kernel's source
python3 /usr/bin/python3 these scripts
python3-venv /usr/lib/python3*/ensurepip/__init__.py a private place for virtme-ng
"
vm="
qemu-system-x86 qemu-system-x86_64 the VM
util-linux setpriv a VM that ends with the command that started it
iproute2 ip network namespaces in the VM
busybox-static busybox programs for the VM's first moments
file file virtme-ng's look at the kernel image
"
test="
procps sysctl the kernel's own tests
gcc-multilib /usr/lib32/libc.a test programs of 32 bits
"
arm64="
qemu-system-arm qemu-system-aarch64 the VM of ARCH=arm64
"
paths="
nftables nft the paths through netfilter
wireguard-tools wg the path through WireGuard
"
regress="
procps sysctl the kernel's own tests
ethtool ethtool the kernel's own tests
g++ g++ liburing's tests
python3-yaml /usr/lib/python3/dist-packages/yaml the kernel's netlink client, for its own tests
"
deb="
debhelper dh_prep the kernel's own rules for packages
dpkg-dev dpkg-buildpackage the kernel's own rules for packages
rsync rsync the package of headers
mmdebstrap mmdebstrap a fresh Debian to try them in
e2fsprogs mkfs.ext4 its disk
"
run="
liburing-dev /usr/include/liburing.h samples/ in C
"
check="
sparse sparse make check
shellcheck shellcheck make check
spin spin the models of make check
mandoc mandoc the man pages
groff /usr/share/groff/current/tmac/an.tmac the man pages
g++ g++ lib/ in C++
"

# Whether the proof of a package is there: a command in PATH, or a file (a pattern may name it)
there()
{
	case $1 in
	/*) compgen -G "$1" >/dev/null || compgen -G "${1/include/include/x86_64-linux-gnu}" >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

install_packages()
{
	local root=()

	command -v apt-get >/dev/null ||
		fail "this machine has no apt-get and lacks $*; install them by hand and try again"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			fail "$* must be installed and you are neither root nor have sudo; as root: apt-get install $*"
		root=(sudo)
	fi
	log=$(mktemp)
	if ! { "${root[@]}" apt-get update -q &&
		"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		grep -E '^(E|W|Err):' "$log" | head -n 5 >&2
		fail "apt-get could not install $*; the whole output is $log"
	fi
	rm -f "$log"
}

packages_for()
{
	case $1 in
	graft | ungraft | clean) echo "$kernel" | grep -E '^(python3|patch) ' ;;
	kernel | headers | configs | docs | rustdoc | compile-commands) echo "$kernel" ;;
	series) echo "$kernel${NOTIF_CHECK:+$vm}" ;;
	check) echo "$kernel$check$run" ;;
	run | samples) echo "$kernel$vm$run" ;;
	test) echo "$kernel$vm$test$run" ;;
	paths) echo "$kernel$vm$paths" ;;
	regress) echo "$kernel$vm$regress" ;;
	liburing-series) echo "$kernel$vm$regress$run" ;;
	deb) echo "$kernel$vm$run$deb" ;;
	*) echo "$kernel$vm" ;;
	esac
	case $1${NOTIF_ARCH-} in
	testarm64 | vmarm64) echo "$arm64" ;;
	esac
}

case ${1-} in
for)
	missing=()
	while read -r package proof why; do
		[ -n "$package" ] || continue
		there "$proof" && continue
		[ ${#missing[@]} = 0 ] && echo "installing Debian packages:" >&2
		echo "  $package: $why" >&2
		missing+=("$package")
	done < <(packages_for "${2-}")
	[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
	;;
install)
	why=$2
	shift 2
	echo "installing Debian packages: $* ($why)" >&2
	install_packages "$@"
	;;
*)
	fail "usage: setup.sh for TARGET | setup.sh install WHY PACKAGE..."
	;;
esac
