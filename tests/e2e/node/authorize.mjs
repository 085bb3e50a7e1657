// Preloaded with `node --import`: every request of the process carries the API key, as the conformance suite cannot.
import { getGlobalDispatcher, setGlobalDispatcher } from "undici";

const key = process.env.API_KEY;

function entries(headers) {
  if (!headers) return [];
  if (!Array.isArray(headers)) return Object.entries(headers);
  if (Array.isArray(headers[0])) return headers;
  return headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]]] : []));
}

const authorize = (dispatch) => (options, handler) =>
  dispatch(
    { ...options, headers: [...entries(options.headers), ["authorization", `Bearer ${key}`]].flat() },
    handler,
  );

setGlobalDispatcher(getGlobalDispatcher().compose(authorize));
