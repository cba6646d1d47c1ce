/* input logs
1970-01-01T00:00:01 sshd[7]: Failed password for root
1970-01-01T00:00:31 sshd[7]: Accepted password for bob
1970-01-01T00:01:01 cron: Failed
*/
/* no oracle: the oracle's event time is a column of the record */
CREATE TABLE logs (line TEXT, at TIMESTAMP GENERATED ALWAYS AS (CAST(split_part(line, ' ', 1) AS TIMESTAMP)),
  program TEXT GENERATED ALWAYS AS (regexp_replace(split_part(line, ' ', 2), '[^a-z].*', '')), WATERMARK FOR at)
WITH (connector = 'test', format = 'raw_string');
SELECT program, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM logs WHERE line LIKE '%Failed%' GROUP BY 1, 2;
/* expected results
cron | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1
sshd | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
*/
