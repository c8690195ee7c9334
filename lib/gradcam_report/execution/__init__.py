"""The commands behind the report: chapters through papermill, the site, training, sweeps and publishing."""
