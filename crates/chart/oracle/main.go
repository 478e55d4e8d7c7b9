// Renders charts with Helm itself. One JSON request per line on standard input, one JSON answer per line on standard
// output; the tests of the chart crate compare their own results with these answers.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

type request struct {
	// Paths below the chart's folder, with contents in base64.
	Files     map[string]string `json:"files"`
	Values    string            `json:"values"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Kube      string            `json:"kube"`
	APIs      []string          `json:"apis"`
	Upgrade   bool              `json:"upgrade"`
	Subnotes  bool              `json:"subnotes"`
	CRDs      bool              `json:"crds"`
}

type answer struct {
	Manifest string `json:"manifest"`
	Notes    string `json:"notes"`
	Error    string `json:"error"`
}

func render(r request) (manifest, notes string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var files []*loader.BufferedFile
	// Helm reads a folder in the order of its names.
	names := make([]string, 0, len(r.Files))
	for name := range r.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := base64.StdEncoding.DecodeString(r.Files[name])
		if err != nil {
			return "", "", err
		}
		files = append(files, &loader.BufferedFile{Name: name, Data: data})
	}
	chart, err := loader.LoadFiles(files)
	if err != nil {
		return "", "", err
	}
	values, err := chartutil.ReadValues([]byte(r.Values))
	if err != nil {
		return "", "", err
	}
	if chart.Metadata.Type != "" && chart.Metadata.Type != "application" {
		return "", "", fmt.Errorf("%s charts are not installable", chart.Metadata.Type)
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...interface{}) {}})
	install.ClientOnly = true
	install.DryRun = true
	install.Replace = true
	install.ReleaseName = r.Name
	install.Namespace = r.Namespace
	install.IsUpgrade = r.Upgrade
	install.SubNotes = r.Subnotes
	install.IncludeCRDs = r.CRDs
	install.APIVersions = chartutil.VersionSet(r.APIs)
	if r.Kube != "" {
		install.KubeVersion, err = chartutil.ParseKubeVersion(r.Kube)
		if err != nil {
			return "", "", err
		}
	}
	release, err := install.Run(chart, values)
	if err != nil {
		return "", "", err
	}
	var out strings.Builder
	fmt.Fprintln(&out, strings.TrimSpace(release.Manifest))
	for _, hook := range release.Hooks {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return out.String(), release.Info.Notes, nil
}

func main() {
	log.SetOutput(io.Discard)
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for scanner.Scan() {
		var r request
		var a answer
		err := json.Unmarshal(scanner.Bytes(), &r)
		if err == nil {
			a.Manifest, a.Notes, err = render(r)
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
