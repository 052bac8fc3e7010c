// Stands in for kubelet where a test runs agents as plain processes: it ends the port-forwards that the API server
// sends to a node, with kubelet's own code, and leads them to addresses of this machine in place of a pod's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// forwarder knows pods by a file of lines `namespace/pod ADDRESS`, which is read for each connection.
type forwarder struct{ file, namespace string }

func (f forwarder) PortForward(_ context.Context, pod, _ string, _ int32, stream io.ReadWriteCloser) error {
	pods, err := os.ReadFile(f.file)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(pods), "\n") {
		name, address, _ := strings.Cut(line, " ")
		if name != f.namespace+"/"+pod {
			continue
		}
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer connection.Close()
		done := make(chan error, 2)
		go func() { _, err := io.Copy(connection, stream); done <- err }()
		go func() { _, err := io.Copy(stream, connection); done <- err }()
		return <-done
	}
	return fmt.Errorf("no such pod in %s", f.file)
}

func main() {
	listen := flag.String("listen", "", "ADDRESS:PORT")
	cert, key := flag.String("cert", "", "certificate, PEM"), flag.String("key", "", "its key, PEM")
	pods := flag.String("pods", "", "file with lines `namespace/pod ADDRESS`")
	flag.Parse()
	http.HandleFunc("/portForward/{namespace}/{pod}", func(w http.ResponseWriter, r *http.Request) {
		options, err := portforward.NewV4Options(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		to := forwarder{file: *pods, namespace: r.PathValue("namespace")}
		protocols := portforward.SupportedProtocols
		portforward.ServePortForward(w, r, to, r.PathValue("pod"), "", options, 4*time.Hour, 30*time.Second, protocols)
	})
	log.Fatal(http.ListenAndServeTLS(*listen, *cert, *key, nil))
}
