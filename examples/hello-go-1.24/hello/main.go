// Hello greets, and says which Go built it.
package main

import (
	"fmt"
	"runtime"
	"strings"
)

// Set is a generic alias, which Go has since 1.24.
type Set[T comparable] = map[T]struct{}

func main() {
	greeted := Set[string]{}
	for line := range strings.Lines("world\nhermetic builds\nworld\n") {
		name := strings.TrimSpace(line)
		if _, again := greeted[name]; again {
			continue
		}
		greeted[name] = struct{}{}
		fmt.Printf("Hello, %s, from %s\n", name, runtime.Version())
	}
}
