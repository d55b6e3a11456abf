// Command render turns one source into plain objects: a Helm chart by Helm's own engine, a folder by kustomize's.
//
// It reads one request as JSON from standard input and writes one answer as JSON to standard output. It asks no
// cluster and no network, and is told the versions of Kubernetes and of its APIs.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

type request struct {
	Mode        string         `json:"mode"`        // helm or kustomize
	Path        string         `json:"path"`        // a chart's archive or folder; a folder with a kustomization
	Release     string         `json:"release"`     // Helm's name of the release
	Namespace   string         `json:"namespace"`   // the release's namespace
	Kubernetes  string         `json:"kubernetes"`  // such as v1.36.0
	APIVersions []string       `json:"apiVersions"` // all that the cluster serves, such as apps/v1 and apps/v1/Deployment
	Values      map[string]any `json:"values"`
}

type item struct {
	Source string          `json:"source"` // the template or file
	CRD    bool            `json:"crd"`    // from a crds/ folder
	Object json.RawMessage `json:"object"`
}

type problem struct {
	Kind    string `json:"kind"`  // schema, random, template, chart
	Where   string `json:"where"` // the template, or the value's path
	Message string `json:"message"`
}

type answer struct {
	Objects  []item    `json:"objects"`
	Problems []problem `json:"problems"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "the request is not JSON:", err)
		os.Exit(2)
	}
	render := map[string]func(request) answer{"helm": renderChart, "kustomize": renderFolder}[asked.Mode]
	if render == nil {
		fmt.Fprintf(os.Stderr, "unknown mode %q\n", asked.Mode)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(render(asked)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func refused(kind, where, message string) answer {
	return answer{Problems: []problem{{kind, where, message}}}
}

// parsed reads the YAML documents of one file, in their order; empty ones are left out.
func parsed(source, text string, crd bool) ([]item, *problem) {
	documents := releaseutil.SplitManifests(text)
	names := make([]string, 0, len(documents))
	for name := range documents {
		names = append(names, name)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(names))
	var items []item
	for _, name := range names {
		object, err := yaml.YAMLToJSON([]byte(documents[name]))
		if err != nil {
			return nil, &problem{"template", source, "is not YAML: " + err.Error()}
		}
		if string(object) != "null" {
			items = append(items, item{source, crd, object})
		}
	}
	return items, nil
}
