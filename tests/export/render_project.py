"""Run by a Python that has QGIS: open a project, say as JSON what it holds, and draw it as QGIS opens it."""

import json
import sys


def open_and_draw(path, picture):
    """Say what a project holds, and write its picture."""
    from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
    from qgis.PyQt.QtCore import QSize

    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    assert project.read(path), project.error()
    said = {"crs": project.crs().authid(), "title": project.title(), "layers": []}
    for node in project.layerTreeRoot().findLayers():
        layer = node.layer()
        one = {"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid(), "shown": node.isVisible()}
        extent = layer.extent()
        one["extent"] = [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]
        renderer = layer.renderer()
        one["renderer"] = renderer.type()
        if renderer.type() == "categorizedSymbol":
            one["categories"] = [[each.value(), each.symbol().color().getRgb()[:3]] for each in renderer.categories()]
            one["labels"] = layer.labeling().settings().fieldName if layer.labelsEnabled() else None
            fields = layer.fields()
            one["choices"] = layer.editorWidgetSetup(fields.indexOf("label")).config().get("map")
            one["fixed"] = [each.name() for i, each in enumerate(fields) if layer.editFormConfig().readOnly(i)]
            one["count"] = layer.featureCount()
            assert layer.startEditing()
            layer.rollBack()
        said["layers"].append(one)
    view = project.viewSettings().defaultViewExtent()
    said["view"] = [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()]
    settings = QgsMapSettings()
    settings.setLayers([node.layer() for node in project.layerTreeRoot().findLayers() if node.isVisible()])
    settings.setDestinationCrs(project.crs())
    settings.setExtent(view)
    settings.setOutputSize(QSize(800, 800))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    print(json.dumps(said))


if __name__ == "__main__":
    open_and_draw(*sys.argv[1:])
