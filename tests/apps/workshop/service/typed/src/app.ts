import ms from 'ms';
import { Answer, json } from './answer';

interface Request {
  rawQueryString: string;
  requestContext: { http: { method: string } };
}

export const handler = async (event: Request): Promise<Answer> =>
  json(200, { method: event.requestContext.http.method, query: event.rawQueryString, minute: ms('1m') });
