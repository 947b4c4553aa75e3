import { monthName, t } from '../i18n';
import { lastMonths } from '../state/month';

/** Chooses one of the last twelve months. */
export function MonthPicker({ value, onChange }: { value: string; onChange: (month: string) => void }) {
  return (
    <label class="inline">
      {t('usage.month')}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {lastMonths(Date.now()).map((month) => (
          <option key={month} value={month}>
            {monthName(month)}
          </option>
        ))}
      </select>
    </label>
  );
}
