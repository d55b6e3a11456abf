package main

import (
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func renderFolder(asked request) answer {
	// The default options read nothing outside the folder and run no plugin.
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), asked.Path)
	if err != nil {
		return refused("chart", "", err.Error())
	}
	var found answer
	for _, resource := range resources.Resources() {
		object, err := resource.MarshalJSON()
		if err != nil {
			return refused("chart", resource.CurId().String(), err.Error())
		}
		found.Objects = append(found.Objects, item{resource.CurId().String(), false, object})
	}
	return found
}
