"""Metadata of synthetic instances, without Image Pixel attributes and without bulkdata."""

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


def instance(sop_class: uid.UID, modality: str) -> Dataset:
    """What all of them have: the Patient, General Study, General Series, General Equipment and SOP Common Modules."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate = dataset.ContentDate = "20200101"
    dataset.StudyTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = modality
    dataset.Manufacturer = "Synthetic"
    dataset.ReferringPhysicianName = ""
    dataset.PatientName = "Tést^Pätient"
    dataset.PatientID = "INTEROP"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StudyID = ""
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    return dataset


def secondary_capture(lossy: bool) -> Dataset:
    """An image of any source (PS3.3 A.8.1)."""
    dataset = instance(uid.SecondaryCaptureImageStorage, "OT")
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.Laterality = ""
    if lossy:
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = 10
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
    return dataset


def video() -> Dataset:
    """A film (PS3.3 A.32.7)."""
    dataset = instance(uid.VideoPhotographicImageStorage, "XC")
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientOrientation = ""
    dataset.AcquisitionContextSequence = []
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "38266002", "SCT", "Entire body"
    dataset.AnatomicRegionSequence = [region]
    dataset.LossyImageCompression = "01"
    return dataset


def document(title: str) -> Dataset:
    """A PDF document (PS3.3 A.45.1)."""
    dataset = instance(uid.EncapsulatedPDFStorage, "DOC")
    dataset.AcquisitionDateTime = ""
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = []
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    return dataset


def with_bulkdata(dataset: Dataset, tag: str, uri: str, vr: str = "OB") -> dict:
    """The DICOM JSON Model of dataset, in which tag is bulkdata."""
    model = dataset.to_json_dict()
    model[tag] = {"vr": vr, "BulkDataURI": uri}
    return dict(sorted(model.items()))
