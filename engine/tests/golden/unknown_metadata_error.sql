CREATE TABLE flows (ts TIMESTAMP,
  k TEXT METADATA FROM 'ofset')
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 3: table `flows`: column `k`: there is no metadata `ofset` here; valid are 'value' (the record's own bytes) and 'split' (the file it is from); for connector `kafka` also 'topic', 'partition', 'offset', 'timestamp', 'key' and 'headers'
*/
