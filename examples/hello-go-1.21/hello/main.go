// Hello greets, and says which Go built it.
package main

import (
	"fmt"
	"runtime"
	"slices"
)

func main() {
	// The package slices is new in Go 1.21.
	names := slices.Compact([]string{"world", "world", "hermetic builds"})
	for _, name := range names {
		fmt.Printf("Hello, %s, from %s\n", name, runtime.Version())
	}
}
