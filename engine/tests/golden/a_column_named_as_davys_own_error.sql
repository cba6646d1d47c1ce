CREATE TABLE flows (ts TIMESTAMP,
  __epoch BIGINT)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 3: table `flows`: column `__epoch`: names beginning with `__` are Davy's own
*/
