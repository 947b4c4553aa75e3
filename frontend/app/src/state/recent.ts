// Projects that were opened lately, on this device: their addresses only.

const STORED = 'workroom.recent';
const KEPT = 6;

export function recent(): string[] {
  try {
    const stored: unknown = JSON.parse(globalThis.localStorage?.getItem(STORED) ?? '[]');
    return Array.isArray(stored) ? stored.filter((slug): slug is string => typeof slug === 'string') : [];
  } catch {
    return [];
  }
}

export function visited(slug: string): void {
  const list = [slug, ...recent().filter((other) => other !== slug)].slice(0, KEPT);
  globalThis.localStorage?.setItem(STORED, JSON.stringify(list));
}
