"""The archive: a DICOM node that takes studies in and sends results back, and a reader of DICOMweb servers."""
