// Tables and diagrams taken out as files.
