CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, sp TEXT, dp TEXT, pr TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT community_id(sa, da, sp, dp, pr) AS id FROM flows;
/* expected error
line 3, column 8: `community_id`: `sp` is an integer, not TEXT; write TRY_CAST(… AS BIGINT), which is null where the text is no number
*/
