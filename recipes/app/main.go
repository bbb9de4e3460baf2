// Tally is an HTTP service that counts words: GET /count?text=...
//
// An answer depends on the request alone: it carries no date and no host name, so
// that a check can compare all of it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"

	"hb.example/wordcount"
)

// answer is what /count gives back.
type answer struct {
	Platform string            `json:"platform"`
	Go       string            `json:"go"`
	Words    []wordcount.Entry `json:"words"`
}

func count(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("text")
	if text == "" {
		http.Error(w, "the parameter text is missing", http.StatusBadRequest)
		return
	}
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "application/json")
	err := json.NewEncoder(w).Encode(answer{
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Go:       runtime.Version(),
		Words:    wordcount.Count(text),
	})
	if err != nil {
		log.Printf("answering %s: %v", r.RemoteAddr, err)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "the `address` to listen on")
	flag.Parse()

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	// Whoever started the service may wait for this line.
	fmt.Println("listening on", listener.Addr())

	http.HandleFunc("/count", count)
	log.Fatal(http.Serve(listener, nil))
}
