package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

const notes = "NOTES.txt"

func renderChart(asked request) answer {
	chrt, files, fault := renderOnce(asked)
	if fault != nil {
		return *fault
	}
	_, again, fault := renderOnce(asked)
	if fault != nil {
		return *fault
	}
	if differing := differences(files, again); len(differing) > 0 {
		return answer{Problems: differing}
	}
	return collect(chrt, files)
}

// renderOnce starts from the chart's own files and a copy of the values: templates may change values as they go, as
// Istio's do, and a second render must not find what the first has left.
func renderOnce(asked request) (*chart.Chart, map[string]string, *answer) {
	unless := func(kind string, err error) (*chart.Chart, map[string]string, *answer) {
		found := refused(kind, "", err.Error())
		return nil, nil, &found
	}
	chrt, err := loader.Load(asked.Path)
	if err != nil {
		return unless("chart", err)
	}
	capabilities, err := capabilitiesOf(asked)
	if err != nil {
		return unless("chart", err)
	}
	if fault := unfit(chrt, capabilities); fault != "" {
		return unless("chart", errors.New(fault))
	}
	given, err := copied(asked.Values)
	if err != nil {
		return unless("chart", err)
	}
	if err := chartutil.ProcessDependenciesWithMerge(chrt, given); err != nil {
		return unless("chart", err)
	}
	release := chartutil.ReleaseOptions{Name: asked.Release, Namespace: asked.Namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(chrt, given, release, capabilities)
	if err != nil {
		return nil, nil, &answer{Problems: schemaProblems(chrt.Name(), err)}
	}
	files, err := engine.RenderWithClientProvider(chrt, values, noCluster{})
	if err != nil {
		return nil, nil, &answer{Problems: []problem{templateProblem(err)}}
	}
	return chrt, files, nil
}

func copied(values map[string]any) (map[string]any, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	var found map[string]any
	return found, json.Unmarshal(text, &found)
}

func capabilitiesOf(asked request) (*chartutil.Capabilities, error) {
	version, err := chartutil.ParseKubeVersion(asked.Kubernetes)
	if err != nil {
		return nil, err
	}
	return &chartutil.Capabilities{
		KubeVersion: *version,
		APIVersions: chartutil.VersionSet(asked.APIVersions),
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}, nil
}

// unfit says why a chart cannot be installed at all, as Helm's install action does.
func unfit(chrt *chart.Chart, capabilities *chartutil.Capabilities) string {
	if chrt.Metadata.Type != "" && chrt.Metadata.Type != "application" {
		return "is a " + chrt.Metadata.Type + " chart, which holds no objects of its own"
	}
	version := capabilities.KubeVersion.Version
	if wanted := chrt.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, version) {
		return "needs Kubernetes " + wanted + ", the cluster has " + version
	}
	there := map[string]bool{}
	for _, dependency := range chrt.Dependencies() {
		there[dependency.Metadata.Name] = true
	}
	for _, dependency := range chrt.Metadata.Dependencies {
		if !there[dependency.Name] {
			return "lacks its dependency " + dependency.Name + " in charts/"
		}
	}
	return ""
}

func collect(chrt *chart.Chart, files map[string]string) answer {
	var found answer
	add := func(source, text string, crd bool) {
		items, fault := parsed(source, text, crd)
		if fault != nil {
			found.Problems = append(found.Problems, *fault)
		}
		found.Objects = append(found.Objects, items...)
	}
	for _, crd := range chrt.CRDObjects() {
		add(crd.Filename, string(crd.File.Data), true)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !strings.HasSuffix(name, notes) {
			add(name, files[name], false)
		}
	}
	return found
}

func differences(files, again map[string]string) []problem {
	var found []problem
	for name, text := range files {
		if again[name] != text && !strings.HasSuffix(name, notes) {
			found = append(found, problem{"random", name, "two renders of it differ"})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Where < found[j].Where })
	return found
}

var (
	place    = regexp.MustCompile(`(?:template: |at \()([^:()\s]+:\d+)(?::\d+)?`)
	random   = regexp.MustCompile(regexp.QuoteMeta(randomMark) + `(\w+)`)
	schemaAt = regexp.MustCompile(`^- at '([^']*)': (.*)$`)
)

func templateProblem(err error) problem {
	text := err.Error()
	where := ""
	// The first place is the template that was rendered, the last file is where it failed; `tpl` has no file.
	for _, found := range place.FindAllStringSubmatch(text, -1) {
		if strings.Contains(found[1], "/") {
			where = found[1]
		}
	}
	if found := random.FindStringSubmatch(text); found != nil {
		return problem{"random", where, "calls " + found[1]}
	}
	return problem{"template", where, text}
}

// schemaProblems reads Helm's report: a line with a chart's name, then a line for each value.
func schemaProblems(root string, err error) []problem {
	var invalid chartutil.ErrNoValue
	if errors.As(err, &invalid) {
		return []problem{{"chart", "", err.Error()}}
	}
	var found []problem
	prefix := ""
	for _, line := range strings.Split(err.Error(), "\n") {
		if at := schemaAt.FindStringSubmatch(strings.TrimSpace(line)); at != nil {
			found = append(found, problem{"schema", prefix + at[1], at[2]})
		} else if name, ok := strings.CutSuffix(strings.TrimSpace(line), ":"); ok && !strings.Contains(name, " ") {
			prefix = ""
			if name != root {
				prefix = "/" + name
			}
		}
	}
	if found == nil {
		found = []problem{{"schema", "", err.Error()}}
	}
	return found
}
