// Lists of the API, page by page.

/** A page of a list as the API gives it. */
export interface PageOf<T> {
  items: T[];
  next?: string | null;
}

/** Reads a whole list that is known to be short (branches, environments, members), at most `most` items. */
export async function all<T>(read: (cursor: string | undefined) => Promise<PageOf<T>>, most = 1000): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    items.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && items.length < most);
  return items;
}

/** The query of one page of a list. */
export function page(cursor: string | undefined, limit: number): { cursor?: string; limit: number } {
  return cursor === undefined ? { limit } : { cursor, limit };
}
