CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'cvs');
SELECT k FROM flows;
/* expected error
line 2, column 27: unknown format `cvs`; valid are `csv`, `json`, `raw_string`, `arrow`, `parquet`
*/
