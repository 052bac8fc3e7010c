// Reads rendered objects from standard input and decodes those whose kinds operators bring (cert-manager, OpenShift, the
// Prometheus operator) into the operators' own types: a field that these don't have, or of another type, is an error.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	openshift "github.com/openshift/api/security/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	stream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"cert-manager.io/v1/Certificate":                      func() any { return new(certmanager.Certificate) },
	"cert-manager.io/v1/Issuer":                           func() any { return new(certmanager.Issuer) },
	"monitoring.coreos.com/v1/ServiceMonitor":             func() any { return new(monitoring.ServiceMonitor) },
	"security.openshift.io/v1/SecurityContextConstraints": func() any { return new(openshift.SecurityContextConstraints) },
}

func main() {
	objects, failed := stream.NewYAMLReader(bufio.NewReader(os.Stdin)), false
	for {
		object, err := objects.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = check(object)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(object []byte) error {
	var head meta.PartialObjectMetadata
	if err := yaml.Unmarshal(object, &head); err != nil {
		return err
	}
	made, known := kinds[head.APIVersion+"/"+head.Kind]
	if !known {
		return nil
	}
	if err := yaml.UnmarshalStrict(object, made()); err != nil {
		return fmt.Errorf("%s %s: %w", head.Kind, head.Name, err)
	}
	fmt.Printf("%s %s\n", head.Kind, head.Name)
	return nil
}
