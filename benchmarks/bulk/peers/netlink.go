// SPDX-License-Identifier: Apache-2.0

// Go's vishvananda/netlink at work, as a program of its own:
//
//	netlink routes|routes6|arps LINK ITEMS
//
// Puts the items of publisher.py, one call each, on a handle that is kept, and prints how many seconds that took, from the first
// call to the end of the last. The neighbours have no protocol: this library cannot give them one.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const protocol = 110

// numbered has the number in the last bytes of an address, or of a MAC.
func numbered(number int, size int, first ...byte) []byte {
	bytes := make([]byte, size)
	binary.BigEndian.PutUint32(bytes[size-4:], uint32(number))
	copy(bytes, first)
	return bytes
}

func route(link int, scope netlink.Scope, ip net.IP) *netlink.Route {
	dst := &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))}
	return &netlink.Route{LinkIndex: link, Dst: dst, Scope: scope, Protocol: protocol}
}

func put(handle *netlink.Handle, kind string, link int, number int) func() error {
	switch kind {
	case "routes":
		wish := route(link, netlink.SCOPE_LINK, numbered(number, 4, 20))
		return func() error { return handle.RouteAdd(wish) }
	case "routes6":
		wish := route(link, netlink.SCOPE_UNIVERSE, numbered(number, 16, 0xfd, 0x20))
		return func() error { return handle.RouteAdd(wish) }
	case "arps":
		wish := &netlink.Neigh{LinkIndex: link, Family: unix.AF_INET, State: netlink.NUD_PERMANENT}
		wish.IP, wish.HardwareAddr = numbered(number, 4, 20), numbered(number, 6, 2)
		return func() error { return handle.NeighAdd(wish) }
	}
	log.Fatalf("there is no kind %s", kind)
	return nil
}

func main() {
	log.SetFlags(0)
	kind, name := os.Args[1], os.Args[2]
	items, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		log.Fatal(err)
	}
	link, err := handle.LinkByName(name)
	if err != nil {
		log.Fatal(err)
	}
	puts := make([]func() error, items)
	for number := range puts {
		puts[number] = put(handle, kind, link.Attrs().Index, number)
	}
	began := time.Now()
	for _, put := range puts {
		if err := put(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(time.Since(began).Seconds())
}
